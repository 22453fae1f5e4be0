package gatelodge

import "example.com/gatelodge-plugin/gatelodge/internal/abi"

// Header is a line of a head.
type Header struct{ Name, Value string }

func putHeader(at uint32, header Header) {
	abi.PutText(at, header.Name)
	abi.PutText(at+8, header.Value)
}

// Edit is one change to the message at hand.
type Edit struct {
	tag         uint8
	name, value string
	number      uint32
}

// SetSlot sets a header of Registration.Outputs: cheaper than by name.
func SetSlot(slot int, value string) Edit { return Edit{tag: 4, value: value, number: uint32(slot)} }

// Set sets a header, in place of all lines of that name.
func Set(name, value string) Edit { return Edit{tag: 0, name: name, value: value} }

// Append adds a line.
func Append(name, value string) Edit { return Edit{tag: 1, name: name, value: value} }

// Remove takes all lines of a name away.
func Remove(name string) Edit { return Edit{tag: 2, name: name} }

// PathAndQuery changes where a request goes.
func PathAndQuery(target string) Edit { return Edit{tag: 5, name: target} }

// SetStatus changes the status of a response.
func SetStatus(status int) Edit { return Edit{tag: 8, number: uint32(status)} }

func putEdit(at uint32, edit Edit) {
	abi.Put8(at, edit.tag)
	switch edit.tag {
	case 0, 1:
		putHeader(at+4, Header{edit.name, edit.value})
	case 4:
		abi.Put32(at+4, edit.number)
		abi.PutText(at+8, edit.value)
	case 8:
		abi.Put16(at+4, uint16(edit.number))
	default:
		abi.PutText(at+4, edit.name)
	}
}

// Interest is how much of the body the plugin wants to see.
type Interest uint8

const (
	// Skip lets the body go past.
	Skip Interest = iota
	// Observe shows it.
	Observe
	// Stream shows it, and lets it be changed.
	Stream
)

type response struct {
	status  int
	headers []Header
	body    []byte
}

func (r response) put(at uint32) {
	abi.Put16(at, uint16(r.status))
	abi.PutList(at+4, r.headers, 16, putHeader)
	abi.PutBytes(at+12, r.body)
}

// Verdict is what happens after a head hook.
type Verdict struct {
	tag      uint8
	edits    []Edit
	interest Interest
	response response
}

// Pass goes on unchanged.
func Pass() Verdict { return Verdict{} }

// Edited goes on with these changes.
func Edited(edits ...Edit) Verdict { return Verdict{tag: 1, edits: edits} }

// Inspect goes on with these changes, and looks at the body.
func Inspect(interest Interest, edits ...Edit) Verdict {
	return Verdict{tag: 2, edits: edits, interest: interest}
}

// Respond stops here and answers.
func Respond(status int, headers []Header, body []byte) Verdict {
	return Verdict{tag: 3, response: response{status, headers, body}}
}

// Lower is for the packages of the hooks.
func (v Verdict) Lower() uint32 {
	answer := abi.Answer(36)
	abi.Put8(answer, v.tag)
	switch v.tag {
	case 1, 2:
		abi.PutList(answer+4, v.edits, 20, putEdit)
		abi.Put8(answer+12, uint8(v.interest))
	case 3:
		v.response.put(answer + 4)
	}
	return answer
}

// Inspector is the state of one body. Chunk's data is valid until it returns.
type Inspector interface {
	Chunk(data []byte) ChunkVerdict
	End() EndVerdict
}

// QuietEnd lets a body end as it came; to be embedded.
type QuietEnd struct{}

// End passes.
func (QuietEnd) End() EndVerdict { return EndVerdict{} }

// ChunkVerdict is what happens to a chunk. The zero value passes it on.
type ChunkVerdict struct {
	tag      uint8
	data     []byte
	response response
}

// PassChunk passes the chunk on.
func PassChunk() ChunkVerdict { return ChunkVerdict{} }

// Replace passes these bytes on instead; none swallow the chunk.
func Replace(data []byte) ChunkVerdict { return ChunkVerdict{tag: 1, data: data} }

// Done passes the chunk on, and the rest unseen.
func Done() ChunkVerdict { return ChunkVerdict{tag: 3} }

// Abort refuses the body: the answer while the head is held back, else the stream is cut.
func Abort(status int, headers []Header, body []byte) ChunkVerdict {
	return ChunkVerdict{tag: 6, response: response{status, headers, body}}
}

// EndVerdict is what happens at a body's end. The zero value lets it end as it came.
type EndVerdict struct {
	finishes bool
	data     []byte
}

// Finish puts these bytes behind all others.
func Finish(data []byte) EndVerdict { return EndVerdict{true, data} }

// Inspectors are the open bodies of one hook.
type Inspectors struct {
	open []Inspector
	free []uint32
}

// Add keeps an inspector and gives its place.
func (i *Inspectors) Add(inspector Inspector) uint32 {
	if last := len(i.free) - 1; last >= 0 {
		place := i.free[last]
		i.free = i.free[:last]
		i.open[place] = inspector
		return place
	}
	i.open = append(i.open, inspector)
	return uint32(len(i.open) - 1)
}

// Chunk asks an inspector.
func (i *Inspectors) Chunk(place, at, length uint32) uint32 {
	verdict := i.open[place].Chunk(abi.Bytes(at, length))
	answer := abi.Answer(36)
	abi.Put8(answer, verdict.tag)
	switch verdict.tag {
	case 1:
		abi.PutBytes(answer+4, verdict.data)
	case 6:
		verdict.response.put(answer + 4)
	}
	return answer
}

// End tells an inspector the end.
func (i *Inspectors) End(place uint32) uint32 {
	verdict := i.open[place].End()
	answer := abi.Answer(36)
	if verdict.finishes {
		abi.Put8(answer, 1)
		abi.PutBytes(answer+4, verdict.data)
	}
	return answer
}

// Drop lets an inspector go.
func (i *Inspectors) Drop(place uint32) {
	i.open[place] = nil
	i.free = append(i.free, place)
}
