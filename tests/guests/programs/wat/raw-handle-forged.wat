;; Gives a handle that nobody made.
(import "[export]gatelodge:plugin/request-body@0.1.0" "[resource-new]inspector" (func $new (param i32) (result i32)))
;; verdict: inspect(no edits, stream).
(data (i32.const 2112) "\02\00\00\00\00\00\00\00\00\00\00\00\02")
(func $act (result i32) i32.const 2112)
(func (export "gatelodge:plugin/request-body@0.1.0#[method]inspector.chunk") (param i32 i32 i32) (result i32)
  i32.const 2048)
(func (export "gatelodge:plugin/request-body@0.1.0#[method]inspector.end") (param i32 i32 i32) (result i32)
  i32.const 2048)
(func (export "gatelodge:plugin/request-body@0.1.0#open") (result i32)
  (drop (call $new (i32.const 1)))
  (i32.const 12345))
