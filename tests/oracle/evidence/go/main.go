// Checks heads and proofs of a log with the Go project's own implementation of signed notes and Merkle trees.
// Reads one JSON object on stdin, prints "ok" or what does not hold.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Link  []byte
	Index int64
	Proof []tlog.Hash
}

type input struct {
	Key        string
	Notes      []string
	Inclusions []inclusion
	From       int64
	OldRoot    tlog.Hash
	Proof      []tlog.Hash
}

func head(text string, verifiers note.Verifiers) (int64, tlog.Hash) {
	read, err := note.Open([]byte(text), verifiers)
	if err != nil {
		fail("note: %v", err)
	}
	lines := strings.Split(read.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("size: %v", err)
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		fail("root: %v", err)
	}
	return size, root
}

func fail(format string, args ...any) {
	fmt.Printf(format+"\n", args...)
	os.Exit(1)
}

func main() {
	var given input
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		fail("input: %v", err)
	}
	verifier, err := note.NewVerifier(given.Key)
	if err != nil {
		fail("key: %v", err)
	}
	verifiers := note.VerifierList(verifier)
	for _, text := range given.Notes {
		size, root := head(text, verifiers)
		for _, one := range given.Inclusions {
			if err := tlog.CheckRecord(one.Proof, size, root, one.Index, tlog.RecordHash(one.Link)); err != nil {
				fail("entry %d: %v", one.Index+1, err)
			}
		}
		if given.From > 0 {
			if err := tlog.CheckTree(given.Proof, size, root, given.From, given.OldRoot); err != nil {
				fail("from %d: %v", given.From, err)
			}
		}
	}
	fmt.Println("ok")
}
