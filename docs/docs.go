// Package docs carries the guide in the program, for the server's pages.
package docs

import "embed"

// Guide holds the pages of the guide as guide/NAME.md, and their drawings.
//
//go:embed guide/*.md guide/*.svg
var Guide embed.FS
