// Package gatelodge is what a plugin stands on: the contract gatelodge:plugin@0.1.0 in Go.
//
// A plugin registers its functions in init and has an empty main. A hook is there if its
// package is imported (requesthead, requestbody, responsehead, responsebody): what a plugin
// does not import costs no request anything.
package gatelodge

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"example.com/gatelodge-plugin/gatelodge/internal/abi"
)

func init() {
	// Instances are many and small.
	debug.SetGCPercent(25)
}

// Selector is something of a request or response that a hook wants to see; what is not asked
// for is never copied in.
type Selector struct {
	tag  uint8
	name string
}

// Path of the request, without its query.
func Path() Selector { return Selector{tag: 3} }

// Method of the request.
func Method() Selector { return Selector{tag: 0} }

// Query of the request.
func Query() Selector { return Selector{tag: 4} }

// RequestHeader is a field of the request. Several lines arrive joined by ", ".
func RequestHeader(name string) Selector { return Selector{5, name} }

// Cookie is the first cookie of that name.
func Cookie(name string) Selector { return Selector{6, name} }

// ClientIP is the client's address.
func ClientIP() Selector { return Selector{tag: 8} }

// Subject is who the caller is, as far as an earlier plugin found out.
func Subject() Selector { return Selector{tag: 13} }

// Status of the response.
func Status() Selector { return Selector{tag: 17} }

// ResponseHeader is a field of the response.
func ResponseHeader(name string) Selector { return Selector{18, name} }

// Registration is what the hooks want to see and to write.
type Registration struct {
	// Request has the fields of requesthead, in this order; Response those of responsehead.
	Request, Response []Selector
	// Outputs are header names for SetSlot.
	Outputs []string
}

var configure func() (Registration, error)

// Configure names the function that runs once per instance, before any hook. Its error refuses
// the plugin; the operator is shown its text.
func Configure(function func() (Registration, error)) { configure = function }

// Refuse is an error for the operator.
func Refuse(why string) error { return errors.New(why) }

//go:wasmexport gatelodge:plugin/lifecycle@0.1.0#configure
func configured() uint32 {
	defer Told()
	registration, err := configure()
	answer := abi.Answer(56)
	if err != nil {
		abi.Put8(answer, 1)
		abi.PutText(answer+4, err.Error())
		return answer
	}
	putSelector := func(at uint32, selector Selector) {
		abi.Put8(at, selector.tag)
		abi.PutText(at+4, selector.name)
	}
	abi.PutList(answer+4, registration.Request, 12, putSelector)
	abi.PutList(answer+12, registration.Response, 12, putSelector)
	abi.PutList(answer+28, registration.Outputs, 8, abi.PutText)
	return answer
}

//go:wasmexport cabi_post_gatelodge:plugin/lifecycle@0.1.0#configure
func configuredPost(uint32) { abi.Release() }

// Told is deferred by each hook: the words of a panic reach the log as one line, then the
// instance ends.
func Told() {
	if cause := recover(); cause != nil {
		Error(fmt.Sprintf("panic: %v\n%s", cause, debug.Stack()))
		exit(2)
	}
}

//go:wasmimport gatelodge:plugin/config@0.1.0 json
func configJSON(answer uint32)

// Settings reads what the operator wrote below [plugin.config].
func Settings(into any) error {
	answer := abi.Answer(8)
	configJSON(answer)
	if err := json.Unmarshal(abi.Bytes(abi.Get32(answer), abi.Get32(answer+4)), into); err != nil {
		return fmt.Errorf("its settings: %w", err)
	}
	return nil
}

// View has the fields of one head, in the order of the registration. Valid until the hook returns.
type View struct{ at, length uint32 }

// Lifted is for the packages of the hooks.
func Lifted(at, length uint32) View { return View{at, length} }

// Get gives a field, and whether the head has it.
func (v View) Get(field int) ([]byte, bool) {
	if uint32(field) >= v.length {
		return nil, false
	}
	at := v.at + uint32(field)*12
	return abi.Bytes(abi.Get32(at+4), abi.Get32(at+8)), abi.Get8(at) != 0
}

// Text gives a copy of a field; nothing where the head has no such field.
func (v View) Text(field int) string {
	value, _ := v.Get(field)
	return string(value)
}
