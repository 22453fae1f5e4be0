;; Answers by a header whose name is no UTF-8.
(data (i32.const 2112) "\03\00\00\00\c8\00\00\00\80\08\00\00\01\00\00\00")
(data (i32.const 2176) "\c0\08\00\00\03\00\00\00\c0\08\00\00\01\00\00\00")
(data (i32.const 2240) "x\ff\fe")
(func $act (result i32) i32.const 2112)
