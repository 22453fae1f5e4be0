// Package responsebody is the hook that sees the bodies which the head's hook asked for; import
// it to have it.
package responsebody

import (
	"example.com/gatelodge-plugin/gatelodge"
	"example.com/gatelodge-plugin/gatelodge/internal/abi"
)

var (
	open       func() gatelodge.Inspector
	inspectors gatelodge.Inspectors
)

// Open names the function that makes an inspector for each body.
func Open(function func() gatelodge.Inspector) { open = function }

//go:wasmimport [export]gatelodge:plugin/response-body@0.1.0 [resource-new]inspector
func resource(place uint32) uint32

//go:wasmexport gatelodge:plugin/response-body@0.1.0#open
func opened() uint32 {
	defer gatelodge.Told()
	handle := resource(inspectors.Add(open()))
	abi.Release()
	return handle
}

//go:wasmexport gatelodge:plugin/response-body@0.1.0#[method]inspector.chunk
func chunk(place, at, length uint32) uint32 {
	defer gatelodge.Told()
	return inspectors.Chunk(place, at, length)
}

//go:wasmexport cabi_post_gatelodge:plugin/response-body@0.1.0#[method]inspector.chunk
func chunkPost(uint32) { abi.Release() }

//go:wasmexport gatelodge:plugin/response-body@0.1.0#[method]inspector.end
func end(place, _, _ uint32) uint32 {
	defer gatelodge.Told()
	return inspectors.End(place)
}

//go:wasmexport cabi_post_gatelodge:plugin/response-body@0.1.0#[method]inspector.end
func endPost(uint32) { abi.Release() }

//go:wasmexport gatelodge:plugin/response-body@0.1.0#[dtor]inspector
func drop(place uint32) { inspectors.Drop(place) }
