;; Gives a good verdict, and does not end when it is told that the host has read it.
(global $armed (mut i32) (i32.const 0))
(func $act (result i32)
  (global.set $armed (i32.const 1))
  i32.const 2048)
(func (export "cabi_post_gatelodge:plugin/request-head@0.1.0#handle") (param i32)
  (loop $again (br_if $again (global.get $armed))))
