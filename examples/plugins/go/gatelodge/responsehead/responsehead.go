// Package responsehead is the hook that sees each response's head; import it to have it.
package responsehead

import (
	"example.com/gatelodge-plugin/gatelodge"
	"example.com/gatelodge-plugin/gatelodge/internal/abi"
)

var handle func(gatelodge.View) gatelodge.Verdict

// Handle names the function that is called for each head.
func Handle(function func(gatelodge.View) gatelodge.Verdict) { handle = function }

//go:wasmexport gatelodge:plugin/response-head@0.1.0#handle
func handled(at, length uint32) uint32 {
	defer gatelodge.Told()
	return handle(gatelodge.Lifted(at, length)).Lower()
}

//go:wasmexport cabi_post_gatelodge:plugin/response-head@0.1.0#handle
func handledPost(uint32) { abi.Release() }
