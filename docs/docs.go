// Package docs carries the guide in the program, for the server's pages.
package docs

import "embed"

// Guide holds the pages of the guide as guide/NAME.md.
//
//go:embed guide/*.md
var Guide embed.FS
