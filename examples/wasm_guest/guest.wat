;; An echo server that cannot await. It knows sockets and tasks by integers, starts an operation,
;; and asks at every step whether it has settled. See README.md for the calls.

(module
  (import "taskio" "accept" (func $accept (param $listener i32) (result i32)))
  (import "taskio" "recv" (func $recv (param $socket i32) (param $max i32) (result i32)))
  (import "taskio" "send"
    (func $send (param $socket i32) (param $from i32) (param $length i32) (result i32)))
  (import "taskio" "status" (func $status (param $task i32) (result i32)))
  (import "taskio" "result"
    (func $result (param $task i32) (param $to i32) (param $size i32) (result i32)))
  (import "taskio" "close" (func $close (param $socket i32)))

  ;; Byte 0 on: the buffer for what is received. Everything passes through it, since the host copies
  ;; what is sent. After it: the table of connections, 12 bytes each, up to the end of the memory,
  ;; which grows when the table is full.
  ;;
  ;;     +0  the socket, 0 if the place is free
  ;;     +4  the task under way
  ;;     +8  1 if it is a send, 0 if it is a recv
  (memory (export "memory") 1)
  (global $BUFFER_SIZE i32 (i32.const 65344))
  (global $TABLE i32 (i32.const 65344)) ;; 16 connections fit behind it
  (global $ENTRY i32 (i32.const 12))
  (global $PAGE i32 (i32.const 65536))

  (global $RUNNING i32 (i32.const 0))

  (global $listener (mut i32) (i32.const 0))
  (global $accepting (mut i32) (i32.const 0)) ;; the task of the next connection
  (global $connections (mut i32) (i32.const 0)) ;; how many there are

  (func (export "start") (param $listener i32)
    (global.set $listener (local.get $listener))
    (global.set $accepting (call $accept (local.get $listener))))

  ;; Does what can be done now. Gives the number of connections, or -errno of a failed accept.
  (func (export "step") (result i32)
    (local $socket i32)
    (call $serve)
    (loop $next
      (if (i32.eq (call $status (global.get $accepting)) (global.get $RUNNING))
        (then (return (global.get $connections))))
      (local.set $socket (call $result (global.get $accepting) (i32.const 0) (i32.const 0)))
      (global.set $accepting (call $accept (global.get $listener)))
      (if (i32.lt_s (local.get $socket) (i32.const 0)) (then (return (local.get $socket))))
      (call $add (local.get $socket))
      (br $next))
    (unreachable))

  ;; Enters a connection into the table and starts its first recv.
  (func $add (param $socket i32)
    (local $entry i32)
    (local.set $entry (call $free))
    (if (i32.eqz (local.get $entry)) (then (call $close (local.get $socket)) (return)))
    (i32.store (local.get $entry) (local.get $socket))
    (global.set $connections (i32.add (global.get $connections) (i32.const 1)))
    (call $receive (local.get $entry)))

  ;; A free place of the table, 0 if there is no memory for one.
  (func $free (result i32)
    (local $entry i32)
    (local $end i32)
    (local.set $entry (global.get $TABLE))
    (local.set $end (call $end))
    (block $full
      (loop $next
        (br_if $full (i32.gt_u (local.get $entry) (local.get $end)))
        (if (i32.eqz (i32.load (local.get $entry))) (then (return (local.get $entry))))
        (local.set $entry (i32.add (local.get $entry) (global.get $ENTRY)))
        (br $next)))
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (return (i32.const 0))))
    (local.get $entry))

  ;; Where the last entry begins at the latest.
  (func $end (result i32)
    (i32.sub (i32.mul (memory.size) (global.get $PAGE)) (global.get $ENTRY)))

  ;; Goes through the table, and on with every connection whose task has settled.
  (func $serve
    (local $entry i32)
    (local $end i32)
    (local.set $entry (global.get $TABLE))
    (local.set $end (call $end))
    (loop $next
      (if (i32.load (local.get $entry)) (then (call $continue (local.get $entry))))
      (local.set $entry (i32.add (local.get $entry) (global.get $ENTRY)))
      (br_if $next (i32.le_u (local.get $entry) (local.get $end)))))

  (func $continue (param $entry i32)
    (local $task i32)
    (local $count i32)
    (local.set $task (i32.load offset=4 (local.get $entry)))
    (if (i32.eq (call $status (local.get $task)) (global.get $RUNNING)) (then (return)))
    (local.set $count
      (call $result (local.get $task) (i32.const 0) (global.get $BUFFER_SIZE)))

    ;; A failure, or a recv that found the end: nothing is left to be done.
    (if (i32.le_s (local.get $count) (i32.const 0))
      (then
        (call $close (i32.load (local.get $entry)))
        (i32.store (local.get $entry) (i32.const 0))
        (global.set $connections (i32.sub (global.get $connections) (i32.const 1)))
        (return)))

    (if (i32.load offset=8 (local.get $entry))
      (then (call $receive (local.get $entry)))
      (else
        (i32.store offset=4 (local.get $entry)
          (call $send (i32.load (local.get $entry)) (i32.const 0) (local.get $count)))
        (i32.store offset=8 (local.get $entry) (i32.const 1)))))

  (func $receive (param $entry i32)
    (i32.store offset=4 (local.get $entry)
      (call $recv (i32.load (local.get $entry)) (global.get $BUFFER_SIZE)))
    (i32.store offset=8 (local.get $entry) (i32.const 0))))
