// Package abi holds the memory that crosses the border to the host, and the
// shapes of the contract gatelodge:plugin@0.1.0 as they lie in it.
package abi

import "unsafe"

// Room for all that the host hands over in one call: a head, or a chunk of at most 64 KiB.
// It must not be Go's heap: making that larger calls the host, which may not be called now.
const spaceBytes = 256 << 10

var (
	space [spaceBytes]byte
	used  uint32
	// What Go must not collect before the host has read the answer.
	kept []any
)

func base() uint32 { return uint32(uintptr(unsafe.Pointer(&space))) }

// Room takes memory that stays until the hook's answer has been read.
func Room(size, alignment uint32) uint32 {
	begin := (base()+used+alignment-1)&^(alignment-1) - base()
	if size > spaceBytes || begin > spaceBytes-size {
		panic("the host handed over more than 256 KiB at once")
	}
	used = begin + size
	return base() + begin
}

// Where the host writes to; the name is the component model's.
//
//go:wasmexport cabi_realloc
func realloc(old, oldSize, alignment, size uint32) uint32 {
	to := Room(size, max(alignment, 1))
	if old != 0 {
		copy(Bytes(to, size), Bytes(old, oldSize))
	}
	return to
}

// Release takes all memory of a hook back: the host has read its answer.
func Release() {
	used = 0
	clear(kept)
	kept = kept[:0]
}

// Bytes is memory as the host sees it. Valid until the hook returns.
func Bytes(at, length uint32) []byte {
	if length == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(pointer(at)), length)
}

func pointer(at uint32) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(&space), int(at)-int(base()))
}

// Get8 reads a byte.
func Get8(at uint32) uint8 { return *(*uint8)(pointer(at)) }

// Get32 reads a number, a length or an address.
func Get32(at uint32) uint32 { return *(*uint32)(pointer(at)) }

// Get64 reads a long number.
func Get64(at uint32) int64 { return *(*int64)(pointer(at)) }

// Put8 writes a byte.
func Put8(at uint32, value uint8) { *(*uint8)(pointer(at)) = value }

// Put16 writes a short number.
func Put16(at uint32, value uint16) { *(*uint16)(pointer(at)) = value }

// Put32 writes a number, a length or an address.
func Put32(at, value uint32) { *(*uint32)(pointer(at)) = value }

// PutBytes writes where bytes are. They stay where they are until the answer has been read.
func PutBytes(at uint32, bytes []byte) {
	if len(bytes) != 0 {
		kept = append(kept, bytes)
	}
	putSpan(at, unsafe.Pointer(unsafe.SliceData(bytes)), len(bytes))
}

// PutText does the same for text.
func PutText(at uint32, text string) {
	if len(text) != 0 {
		kept = append(kept, text)
	}
	putSpan(at, unsafe.Pointer(unsafe.StringData(text)), len(text))
}

func putSpan(at uint32, from unsafe.Pointer, length int) {
	if length == 0 {
		// The host looks at addresses of nothing too.
		from = unsafe.Pointer(&space)
	}
	Put32(at, uint32(uintptr(from)))
	Put32(at+4, uint32(length))
}

// PutList writes a list of things of one size, which are lowered by put.
func PutList[T any](at uint32, list []T, size uint32, put func(at uint32, item T)) {
	items := Room(uint32(len(list))*size, 8)
	for i, item := range list {
		put(items+uint32(i)*size, item)
	}
	Put32(at, items)
	Put32(at+4, uint32(len(list)))
}

// Answer takes zeroed memory for what a hook gives back.
func Answer(size uint32) uint32 {
	at := Room(size, 8)
	clear(Bytes(at, size))
	return at
}
