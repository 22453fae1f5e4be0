;; Answers 409 if its memory holds anything that it did not come with, then leaves something there:
;; beyond its data, and in pages that it has to ask for.
(data (i32.const 2112) "\03\00\00\00\99\01")
(func $act (result i32)
  (local $seen i32)
  (if (i32.lt_u (memory.size) (i32.const 64))
    (then (drop (memory.grow (i32.const 62)))))
  (local.set $seen (i32.or (i32.load (i32.const 32768)) (i32.load (i32.const 4000000))))
  (i32.store (i32.const 32768) (i32.const 0x41414141))
  (i32.store (i32.const 4000000) (i32.const 0x41414141))
  (if (result i32) (local.get $seen) (then (i32.const 2112)) (else (i32.const 2048))))
