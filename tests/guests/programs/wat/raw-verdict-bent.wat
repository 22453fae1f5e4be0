;; Gives a verdict that there is not.
(data (i32.const 2112) "\4d")
(func $act (result i32) i32.const 2112)
