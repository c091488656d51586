package open

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/idx"
	"github.com/gimbal-ml/gimbal/data/safetensors"
)

// strangers are formats that are met and not read, with what to do.
var strangers = []struct{ mark, name string }{
	{"\x89HDF", "HDF5; save .npy or Parquet"},
	{"ARROW1", "Arrow or Feather; save Parquet"},
	{"PARE", "encrypted Parquet; save it without encryption"},
	{"ORC", "ORC; save Parquet"},
	{"\x80\x02", "a Python pickle, which could run code; save .npy or safetensors"},
	{"\x80\x03", "a Python pickle, which could run code; save .npy or safetensors"},
	{"\x80\x04", "a Python pickle, which could run code; save .npy or safetensors"},
	{"\x80\x05", "a Python pickle, which could run code; save .npy or safetensors"},
	{"GGUF", "GGUF; save safetensors"},
	{"MATLAB 5.0", "MATLAB; save .npy or CSV"},
	{"SQLite format 3", "SQLite; export CSV"},
	{"BZh", "bzip2; use gzip or zstd"},
	{"\xfd7zXZ", "xz; use gzip or zstd"},
	{"\xff\xfe", "UTF-16 text; save it as UTF-8"},
	{"\xfe\xff", "UTF-16 text; save it as UTF-8"},
	{"\x89PNG", "a PNG image; gimbal encode makes features of images"},
	{"\xff\xd8\xff", "a JPEG image; gimbal encode makes features of images"},
	{"%PDF", "PDF"},
}

// sniff finds out the format by the first bytes; the name's extension decides only between kinds of text.
func sniff(head []byte, path string) (string, error) {
	starts := func(mark string) bool { return bytes.HasPrefix(head, []byte(mark)) }
	switch {
	case starts("\x93NUMPY"):
		return "npy", nil
	case starts("PK\x03\x04"), starts("PK\x05\x06"):
		return "npz", nil
	case starts("PAR1"):
		return "parquet", nil
	case safetensors.Is(head):
		return "safetensors", nil
	case idx.Is(head):
		return "idx", nil
	}
	for _, s := range strangers {
		if starts(s.mark) {
			return "", fmt.Errorf("looks like %s. %s: %w", s.name, supported, data.ErrFormat)
		}
	}
	if !isText(head) {
		return "", fmt.Errorf("begins with % x, which no known format does. %s: %w", head[:min(8, len(head))], supported, data.ErrFormat)
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	if bytes.HasPrefix(text, []byte("{")) || bytes.HasPrefix(text, []byte("[")) {
		return "jsonl", nil
	}
	if e := extension(path); e == "tsv" || e == "tab" {
		return "tsv", nil
	}
	return "csv", nil
}

// isText reports whether bytes look like text: no control characters but white space.
func isText(head []byte) bool {
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' {
			return false
		}
	}
	return true
}

// extension returns a path's last extension in lower case, without those of compression.
func extension(path string) string {
	name := strings.ToLower(path)
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	return strings.TrimPrefix(filepath.Ext(name), ".")
}
