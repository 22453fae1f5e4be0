package gatelodge

import "unsafe"

//go:wasmimport gatelodge:plugin/log@0.1.0 write
func logWrite(level uint32, text unsafe.Pointer, length uint32)

func write(level uint32, text string) {
	logWrite(level, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

// Debug writes to the host's log, as Info, Warn and Error do. Grant: log = true.
func Debug(text string) { write(1, text) }

// Info writes to the host's log.
func Info(text string) { write(2, text) }

// Warn writes to the host's log.
func Warn(text string) { write(3, text) }

// Error writes to the host's log.
func Error(text string) { write(4, text) }
