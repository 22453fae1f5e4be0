;; Takes table elements until it gets no more, and dies of it.
(table $table 1 funcref)
(func $act (result i32)
  (loop $again
    (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))))
  unreachable)
