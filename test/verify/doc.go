// Package verify is clients that know what a server must hold: each writes files and names that it alone changes,
// remembers what was acknowledged as stable, and finds out whether it is there. They are how tests kill a server, or
// take its stores away, and say afterwards that nothing was lost.
//
//	w, err := verify.NewWorker(client, root, 0, seed, verify.Small)
//	for err == nil {
//		err = w.Step(client, verifier) // ends with the connection
//	}
//	err = w.Recover(client, verifier)  // on a connection to the server that was started again
//
// It imports test/nfsclient, which neither caches nor retries, and nothing else of this module.
package verify
