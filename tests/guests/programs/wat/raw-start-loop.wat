;; Computes without end before anything of it can be called.
(func $spin (loop $again (br $again)))
(start $spin)
(func $act (result i32) i32.const 2048)
