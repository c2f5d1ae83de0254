;; What tests run on Bacalhau: first one line of JSON with its arguments and variables, then what its arguments say.
;;
;;   run MILLISECONDS CODE   sleeps and exits        trap     is ended by the machine
;;   read PATH CODE          says a file, and exits  back     returns without an exit code
;;   fill KIB CODE           says so many KiB, and exits
;;
;; WASI preview 1, with no other import. Its names are kept (Bacalhau runs nothing without a name section).
(module $job
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 32)
  ;; 0 scratch, 4096 pointers of arguments, 16384 arguments, 262144 pointers of variables, 270336 variables, 1 MiB output
  (global $out (mut i32) (i32.const 1048576))
  (data (i32.const 512) "{\"args\":\00")
  (data (i32.const 528) ",\"env\":\00")

  (func $put (param $letter i32)
    (i32.store8 (global.get $out) (local.get $letter))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))

  (func $text (param $at i32)
    (block $end (loop $next
      (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
      (call $put (i32.load8_u (local.get $at)))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next))))

  (func $digit (param $value i32)
    (call $put (i32.add (local.get $value)
      (select (i32.const 87) (i32.const 48) (i32.gt_u (local.get $value) (i32.const 9))))))

  (func $quoted (param $at i32) (local $letter i32)
    (call $put (i32.const 34))
    (block $end (loop $next
      (local.set $letter (i32.load8_u (local.get $at)))
      (br_if $end (i32.eqz (local.get $letter)))
      (if (i32.lt_u (local.get $letter) (i32.const 32))
        (then
          (call $put (i32.const 92)) (call $put (i32.const 117)) (call $put (i32.const 48)) (call $put (i32.const 48))
          (call $digit (i32.shr_u (local.get $letter) (i32.const 4)))
          (call $digit (i32.and (local.get $letter) (i32.const 15))))
        (else
          (if (i32.or (i32.eq (local.get $letter) (i32.const 34)) (i32.eq (local.get $letter) (i32.const 92)))
            (then (call $put (i32.const 92))))
          (call $put (local.get $letter))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (call $put (i32.const 34)))

  (func $list (param $at i32) (param $count i32) (local $index i32)
    (call $put (i32.const 91))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $index) (local.get $count)))
      (if (local.get $index) (then (call $put (i32.const 44))))
      (call $quoted (i32.load (i32.add (local.get $at) (i32.mul (local.get $index) (i32.const 4)))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (br $next)))
    (call $put (i32.const 93)))

  (func $argument (param $index i32) (result i32)
    (if (result i32) (i32.lt_u (local.get $index) (i32.load (i32.const 0)))
      (then (i32.load (i32.add (i32.const 4096) (i32.mul (local.get $index) (i32.const 4)))))
      (else (i32.const 1000))))

  (func $number (param $at i32) (result i32) (local $found i32)
    (block $end (loop $next
      (br_if $end (i32.eqz (i32.load8_u (local.get $at))))
      (local.set $found (i32.add (i32.mul (local.get $found) (i32.const 10))
        (i32.sub (i32.load8_u (local.get $at)) (i32.const 48))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br $next)))
    (local.get $found))

  (func $length (param $at i32) (result i32) (local $found i32)
    (block $end (loop $next
      (br_if $end (i32.eqz (i32.load8_u (i32.add (local.get $at) (local.get $found)))))
      (local.set $found (i32.add (local.get $found) (i32.const 1)))
      (br $next)))
    (local.get $found))

  ;; One write of all that was put.
  (func $flush
    (i32.store (i32.const 64) (i32.const 1048576))
    (i32.store (i32.const 68) (i32.sub (global.get $out) (i32.const 1048576)))
    (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 72)))
    (global.set $out (i32.const 1048576)))

  ;; In pieces of 50 ms: a machine that is told to end it does so between two of them.
  (func $sleep (param $milliseconds i32) (local $piece i32)
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $milliseconds)))
      (local.set $piece (select (i32.const 50) (local.get $milliseconds)
        (i32.gt_u (local.get $milliseconds) (i32.const 50))))
      (i32.store (i32.const 144) (i32.const 1)) ;; the clock that never goes back
      (i64.store (i32.const 152) (i64.mul (i64.extend_i32_u (local.get $piece)) (i64.const 1000000)))
      (drop (call $poll_oneoff (i32.const 128) (i32.const 256) (i32.const 1) (i32.const 320)))
      (local.set $milliseconds (i32.sub (local.get $milliseconds) (local.get $piece)))
      (br $next))))

  (func $read (param $path i32)
    ;; Descriptor 3 is the folder that it was given; right 2 is to read.
    (if (call $path_open (i32.const 3) (i32.const 0) (local.get $path) (call $length (local.get $path))
          (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 80))
      (then (call $proc_exit (i32.const 66))))
    (i32.store (i32.const 64) (i32.const 1048576))
    (i32.store (i32.const 68) (i32.const 65536))
    (if (call $fd_read (i32.load (i32.const 80)) (i32.const 64) (i32.const 1) (i32.const 72))
      (then (call $proc_exit (i32.const 74))))
    (global.set $out (i32.add (i32.const 1048576) (i32.load (i32.const 72))))
    (call $flush))

  (func $fill (param $count i32)
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $count)))
      (call $put (i32.const 120))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br $next)))
    (call $flush))

  (func $main (export "_start") (local $word i32)
    (drop (call $args_sizes_get (i32.const 0) (i32.const 4)))
    (drop (call $args_get (i32.const 4096) (i32.const 16384)))
    (drop (call $environ_sizes_get (i32.const 8) (i32.const 12)))
    (drop (call $environ_get (i32.const 262144) (i32.const 270336)))
    (local.set $word (i32.load8_u (call $argument (i32.const 1))))
    (if (i32.eq (local.get $word) (i32.const 0x72)) ;; r
      (then
        (if (i32.eq (i32.load8_u (i32.add (call $argument (i32.const 1)) (i32.const 1))) (i32.const 0x65)) ;; re
          (then
            (call $read (call $argument (i32.const 2)))
            (call $proc_exit (call $number (call $argument (i32.const 3))))))))
    (if (i32.eq (local.get $word) (i32.const 0x66)) ;; f
      (then
        (call $fill (i32.mul (call $number (call $argument (i32.const 2))) (i32.const 1024)))
        (call $proc_exit (call $number (call $argument (i32.const 3))))))
    (call $text (i32.const 512))
    (call $list (i32.const 4096) (i32.load (i32.const 0)))
    (call $text (i32.const 528))
    (call $list (i32.const 262144) (i32.load (i32.const 8)))
    (call $put (i32.const 125))
    (call $put (i32.const 10))
    (call $flush)
    (if (i32.eq (local.get $word) (i32.const 0x74)) (then unreachable)) ;; t
    (if (i32.eq (local.get $word) (i32.const 0x62)) (then return)) ;; b
    (if (i32.eq (local.get $word) (i32.const 0x72))
      (then (call $sleep (call $number (call $argument (i32.const 2))))))
    (call $proc_exit (call $number (call $argument (i32.const 3))))))
