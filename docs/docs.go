// Package docs carries the guide in the program, for the server's pages.
package docs

import "embed"

// Guide holds the pages of the guide as guide/NAME.md, their pictures, and the pages beside it that they lead to.
//
//go:embed guide/*.md guide/*.svg guide/scratch/main.go *.png security.md glossary.md benchmarks.md decisions.md
var Guide embed.FS
