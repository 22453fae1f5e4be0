// Package kv has stores that all workers and plugins share. Grant: state = ["NAME"].
package kv

import (
	"errors"
	"unsafe"

	"example.com/gatelodge-plugin/gatelodge/internal/abi"
)

// What a store refuses with.
var (
	ErrDenied      = errors.New("denied")
	ErrNotFound    = errors.New("not found")
	ErrTimedOut    = errors.New("timed out")
	ErrTooLarge    = errors.New("too large")
	ErrUnavailable = errors.New("unavailable")
	ErrConflict    = errors.New("conflict")
	ErrInvalid     = errors.New("invalid")
	ErrOther       = errors.New("other")
)

var failures = [...]error{
	ErrDenied, ErrNotFound, ErrTimedOut, ErrTooLarge, ErrUnavailable, ErrConflict, ErrInvalid, ErrOther,
}

//go:wasmimport gatelodge:plugin/kv@0.1.0 increment
func increment(store unsafe.Pointer, storeLength uint32, key unsafe.Pointer, keyLength uint32,
	by int64, expires uint32, ttlMs uint64, answer uint32)

// Increment adds to a number in one step and gives the sum.
func Increment(store, key string, by int64) (int64, error) {
	answer := abi.Answer(24)
	increment(unsafe.Pointer(unsafe.StringData(store)), uint32(len(store)),
		unsafe.Pointer(unsafe.StringData(key)), uint32(len(key)), by, 0, 0, answer)
	if abi.Get8(answer) == 0 {
		return abi.Get64(answer + 8), nil
	}
	return 0, failures[abi.Get8(answer+8)]
}
