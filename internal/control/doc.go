// Package control lets a command talk to a running server: operations by name,
// each a request with arguments and an answer of many lines. It exists so that
// `dittofs status`, fsck and backup work on the stores of the process that has
// them open. It knows HTTP and nothing of stores; package server registers what
// the operations do. It imports only the standard library, and the packages that
// bound connections and the log.
//
// The protocol is HTTP/1.1. POST /v1/NAME with a JSON value of arguments (or
// nothing) answers newline-delimited JSON: the lines that the operation emits,
// as they come, and a last line {"done":true} or {"error":"why"}. What cannot be
// started answers another status than 200, with the last line alone. GET /v1/
// lists the operations.
//
// Over a unix socket the file's mode says who may connect. Over TCP every
// request needs a token; without one configured there is nothing to ask.
//
//	s := control.NewServer(control.Options{Version: "1.2.3"})
//	s.Handle("count", func(ctx context.Context, args json.RawMessage, emit func(v any) error) error {
//		return emit(map[string]int{"n": 1})
//	})
//	ln, err := control.ListenUnix("/var/lib/dittofs/cache/control.sock")
//	go s.Serve(ln)
//
//	err = control.Unix("/var/lib/dittofs/cache/control.sock").Call(ctx, "count", nil, print)
package control
