;; An echo server that waits: every call gives its result when there is one, and meanwhile the fibre
;; that has made it is suspended and others run. See README.md for the calls.

(module
  (import "taskio" "accept" (func $host_accept (param $listener i32) (result i32)))
  (import "taskio" "connect"
    (func $host_connect (param $name i32) (param $size i32) (param $port i32) (result i32)))
  (import "taskio" "recv"
    (func $host_recv (param $socket i32) (param $at i32) (param $size i32) (result i32)))
  (import "taskio" "send"
    (func $host_send (param $socket i32) (param $from i32) (param $size i32) (result i32)))
  (import "taskio" "shutdown" (func $host_shutdown (param $socket i32) (result i32)))
  (import "taskio" "close" (func $close (param $socket i32)))
  (import "taskio" "spawn" (func $spawn (param $argument i32) (result i32)))

  ;; The locals of a fibre are its own. What is in the memory is everybody's, the stack too that
  ;; compilers keep there. So each fibre has a region for its stack, of one page: a free one, or a
  ;; new one, by which the memory grows while others receive into theirs. The memory has a maximum,
  ;; without which there is no buffer that grows along.
  (memory (export "memory") 1 16384)
  (global $PAGE i32 (i32.const 65536))
  (global $BUFFER_SIZE i32 (i32.const 32768))

  (global $stack (mut i32) (i32.const 65536)) ;; the stack pointer: that of the fibre which runs
  (global $free (mut i32) (i32.const 0)) ;; the first free region, which names the next one; or 0

  ;; Afterwards the stack pointer is that of whoever ran last: each of these puts it back.
  (func $accept (param $listener i32) (result i32)
    (local $stack i32)
    (local.set $stack (global.get $stack))
    (call $host_accept (local.get $listener))
    (global.set $stack (local.get $stack)))

  (func $connect (param $name i32) (param $size i32) (param $port i32) (result i32)
    (local $stack i32)
    (local.set $stack (global.get $stack))
    (call $host_connect (local.get $name) (local.get $size) (local.get $port))
    (global.set $stack (local.get $stack)))

  (func $recv (param $socket i32) (param $at i32) (param $size i32) (result i32)
    (local $stack i32)
    (local.set $stack (global.get $stack))
    (call $host_recv (local.get $socket) (local.get $at) (local.get $size))
    (global.set $stack (local.get $stack)))

  (func $send (param $socket i32) (param $from i32) (param $size i32) (result i32)
    (local $stack i32)
    (local.set $stack (global.get $stack))
    (call $host_send (local.get $socket) (local.get $from) (local.get $size))
    (global.set $stack (local.get $stack)))

  (func $shutdown (param $socket i32) (result i32)
    (local $stack i32)
    (local.set $stack (global.get $stack))
    (call $host_shutdown (local.get $socket))
    (global.set $stack (local.get $stack)))

  ;; The first fibre: accepts, and has every connection served by a fibre of its own. Gives -errno of
  ;; the accept that failed.
  (func (export "main") (param $listener i32) (result i32)
    (local $socket i32)
    (loop $next
      (local.set $socket (call $accept (local.get $listener)))
      (if (i32.lt_s (local.get $socket) (i32.const 0)) (then (return (local.get $socket))))
      (if (i32.lt_s (call $spawn (local.get $socket)) (i32.const 0))
        (then (call $close (local.get $socket))))
      (br $next))
    (unreachable))

  ;; Every other fibre: serves a connection.
  (func (export "fibre") (param $socket i32)
    (local $region i32)
    (local.set $region (call $take))
    (if (local.get $region)
      (then
        (global.set $stack (i32.add (local.get $region) (global.get $PAGE)))
        (call $echo (local.get $socket))
        (call $give (local.get $region))))
    (call $close (local.get $socket)))

  ;; Sends back what it receives, until the end, and then ends its own side.
  (func $echo (param $socket i32)
    (loop $next
      (br_if $next (i32.gt_s (call $echo_once (local.get $socket)) (i32.const 0))))
    (drop (call $shutdown (local.get $socket))))

  ;; Gives how many bytes there were, 0 at the end, or -errno.
  (func $echo_once (param $socket i32) (result i32)
    (local $buffer i32)
    (local $count i32)
    (local.set $buffer (call $push))
    (local.set $count
      (call $recv (local.get $socket) (local.get $buffer) (global.get $BUFFER_SIZE)))
    (if (i32.gt_s (local.get $count) (i32.const 0))
      (then
        (local.set $count
          (call $send (local.get $socket) (local.get $buffer) (local.get $count)))))
    (call $pop)
    (local.get $count))

  ;; Connects, sends the name that it has connected to, and gives how many bytes come back; or -errno.
  (func (export "ask") (param $name i32) (param $size i32) (param $port i32) (result i32)
    (local $socket i32)
    (local $buffer i32)
    (local $count i32)
    (local $sum i32)
    (global.set $stack (global.get $PAGE))
    (local.set $socket
      (call $connect (local.get $name) (local.get $size) (local.get $port)))
    (if (i32.lt_s (local.get $socket) (i32.const 0)) (then (return (local.get $socket))))
    (local.set $buffer (call $push))
    (drop (call $send (local.get $socket) (local.get $name) (local.get $size)))
    (drop (call $shutdown (local.get $socket)))
    (loop $next
      (local.set $count
        (call $recv (local.get $socket) (local.get $buffer) (global.get $BUFFER_SIZE)))
      (if (i32.gt_s (local.get $count) (i32.const 0))
        (then
          (local.set $sum (i32.add (local.get $sum) (local.get $count)))
          (br $next))))
    (call $close (local.get $socket))
    (call $pop)
    (select (local.get $sum) (local.get $count) (i32.eqz (local.get $count))))

  ;; Room for a buffer on the stack, as a compiler makes it.
  (func $push (result i32)
    (global.set $stack (i32.sub (global.get $stack) (global.get $BUFFER_SIZE)))
    (global.get $stack))

  (func $pop
    (global.set $stack (i32.add (global.get $stack) (global.get $BUFFER_SIZE))))

  ;; A region for a stack, 0 if there is no memory for one.
  (func $take (result i32)
    (local $region i32)
    (local.set $region (global.get $free))
    (if (local.get $region)
      (then
        (global.set $free (i32.load (local.get $region)))
        (return (local.get $region))))
    (local.set $region (memory.grow (i32.const 1)))
    (if (i32.eq (local.get $region) (i32.const -1)) (then (return (i32.const 0))))
    (i32.mul (local.get $region) (global.get $PAGE)))

  (func $give (param $region i32)
    (i32.store (local.get $region) (global.get $free))
    (global.set $free (local.get $region))))
