;; Gives the host an address beyond its memory for a value of 13 bytes, and room for all else.
(func $act (result i32) i32.const 2048)
(func (export "cabi_realloc") (param i32 i32) (param $align i32) (param $bytes i32) (result i32)
  (if (i32.eq (local.get $bytes) (i32.const 13)) (then (return (i32.const -64))))
  (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
  (global.get $free)
  (global.set $free (i32.add (global.get $free) (local.get $bytes))))
