// Shows one thing per path.
package main

import (
	"bytes"
	"strconv"
	"strings"

	"example.com/gatelodge-plugin/gatelodge"
	"example.com/gatelodge-plugin/gatelodge/kv"
	"example.com/gatelodge-plugin/gatelodge/requesthead"
	"example.com/gatelodge-plugin/gatelodge/responsebody"
	"example.com/gatelodge-plugin/gatelodge/responsehead"
)

// Outputs, in the order of the registration.
const (
	greetingSlot = iota
	hitsSlot
)

// pathField is the only field of both views.
const pathField = 0

var greeting string

func init() {
	gatelodge.Configure(configure)
	requesthead.Handle(requestHead)
	responsehead.Handle(responseHead)
	responsebody.Open(func() gatelodge.Inspector { return shouting{} })
}

// The host calls the hooks; nothing runs by itself.
func main() {}

func configure() (gatelodge.Registration, error) {
	var settings struct {
		Greeting *string `json:"greeting"`
	}
	if err := gatelodge.Settings(&settings); err != nil {
		return gatelodge.Registration{}, err
	}
	if settings.Greeting == nil {
		return gatelodge.Registration{}, gatelodge.Refuse(`set greeting = "..." for this plugin`)
	}
	greeting = *settings.Greeting
	gatelodge.Info("go is ready")
	return gatelodge.Registration{
		Request:  []gatelodge.Selector{gatelodge.Path()},
		Response: []gatelodge.Selector{gatelodge.Path()},
		Outputs:  []string{greetingSlot: "x-greeting", hitsSlot: "x-hits"},
	}, nil
}

func requestHead(view gatelodge.View) gatelodge.Verdict {
	path := view.Text(pathField)
	switch {
	case strings.HasPrefix(path, "/edit"):
		return gatelodge.Edited(gatelodge.SetSlot(greetingSlot, greeting))
	case path == "/answer":
		return gatelodge.Respond(418, []gatelodge.Header{{Name: "x-language", Value: "go"}}, []byte("hello from go"))
	case path == "/log":
		gatelodge.Info("seen " + path)
	case path == "/kv":
		hits, err := kv.Increment("battery", "hits", 1)
		if err != nil {
			return gatelodge.Edited(gatelodge.SetSlot(hitsSlot, err.Error()))
		}
		return gatelodge.Edited(gatelodge.SetSlot(hitsSlot, strconv.FormatInt(hits, 10)))
	case path == "/trap":
		panic("asked to trap")
	case path == "/loop":
		for {
		}
	}
	return gatelodge.Pass()
}

func responseHead(view gatelodge.View) gatelodge.Verdict {
	path := view.Text(pathField)
	switch {
	case strings.HasPrefix(path, "/edit"):
		return gatelodge.Edited(gatelodge.Set("x-language", "go"))
	case path == "/body":
		return gatelodge.Inspect(gatelodge.Stream)
	}
	return gatelodge.Pass()
}

// shouting makes a body's letters capitals.
type shouting struct{ gatelodge.QuietEnd }

func (shouting) Chunk(data []byte) gatelodge.ChunkVerdict {
	return gatelodge.Replace(bytes.ToUpper(data))
}
