// An echo server for any number of clients, over poll(). Plain C and POSIX: nothing in it knows of
// taskio or WebAssembly. As a program that systemd starts, it is given its listener as file
// descriptor 3.
//
//     clang --target=wasm32-wasi -O2 -o poll_server.wasm poll_server.c

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LISTENER = 3, SIZE = 16384 };

struct client {
  int ended;       // the client sends no more
  size_t from, to; // what of the data is still to be sent
  char data[SIZE];
};

static struct pollfd *polled; // the listener, then the clients
static struct client **clients;
static size_t count = 1, room = 0;

static void *checked(void *memory) {
  if (memory == NULL) {
    perror("memory");
    exit(1);
  }
  return memory;
}

static void add(int fd) {
  if (count >= room) {
    room = room == 0 ? 16 : 2 * room;
    polled = checked(realloc(polled, room * sizeof *polled));
    clients = checked(realloc(clients, room * sizeof *clients));
  }
  polled[count] = (struct pollfd){.fd = fd, .events = POLLIN};
  clients[count++] = checked(calloc(1, sizeof(struct client)));
}

// The last client takes the place of the one that goes.
static void drop(size_t i) {
  close(polled[i].fd);
  free(clients[i]);
  count--;
  polled[i] = polled[count];
  clients[i] = clients[count];
  polled[0].events = POLLIN;
}

static void accept_all(void) {
  for (;;) {
    int fd = accept(LISTENER, NULL, NULL);
    if (fd >= 0) {
      fcntl(fd, F_SETFL, O_NONBLOCK);
      add(fd);
    } else if (errno == EAGAIN) {
      return;
    } else if (errno == EMFILE) {
      polled[0].events = 0; // until a client goes
      return;
    } else if (errno != ECONNABORTED) {
      perror("accept");
      exit(1);
    }
  }
}

// Sends what there is; 0 if the client is lost.
static int flush(size_t i) {
  struct client *client = clients[i];
  while (client->from < client->to) {
    ssize_t n = send(polled[i].fd, client->data + client->from, client->to - client->from, 0);
    if (n < 0) return errno == EAGAIN;
    client->from += n;
  }
  return 1;
}

// Does what can be done for a client; 0 if nothing is left to be done.
static int serve(size_t i) {
  struct client *client = clients[i];
  for (;;) {
    if (!flush(i)) return 0;
    if (client->from < client->to) {
      polled[i].events = POLLOUT; // it reads slowly: until then nothing is received from it
      return 1;
    }
    polled[i].events = POLLIN;
    if (client->ended) {
      shutdown(polled[i].fd, SHUT_WR);
      return 0;
    }
    ssize_t n = recv(polled[i].fd, client->data, SIZE, 0);
    if (n < 0) return errno == EAGAIN;
    client->ended = n == 0;
    client->from = 0;
    client->to = n;
  }
}

int main(void) {
  room = 16;
  polled = checked(malloc(room * sizeof *polled));
  clients = checked(malloc(room * sizeof *clients));
  polled[0] = (struct pollfd){.fd = LISTENER, .events = POLLIN};
  fcntl(LISTENER, F_SETFL, O_NONBLOCK);
  puts("Echo server ready");

  for (;;) {
    if (poll(polled, count, -1) < 0) {
      perror("poll");
      return 1;
    }
    // Backwards, for drop() fills the gap with a client that was served already.
    for (size_t i = count; --i > 0;) {
      if (polled[i].revents != 0 && !serve(i)) drop(i);
    }
    if (polled[0].revents != 0) accept_all();
  }
}
