;; Answers by 1,000,000 header lines that are all there, and empty.
(data (i32.const 2112) "\03\00\00\00\c8\00\00\00\00\00\02\00\40\42\0f\00")
(func $act (result i32)
  (if (i32.lt_u (memory.size) (i32.const 256))
    (then (drop (memory.grow (i32.const 254)))))
  i32.const 2112)
