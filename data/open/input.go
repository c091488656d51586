package open

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/gimbal-ml/gimbal/data"
)

// input is an open file or pipe, uncompressed.
type input struct {
	path, name string
	in         io.Reader   // from the first byte
	at         io.ReaderAt // nil where seeking is impossible
	size       int64
	head       []byte // the first bytes
	regular    bool   // can be opened again
	changed    time.Time
	length     int64 // of the file, compressed or not
	stop       []func()
}

// openInput opens a path, "-" for stdin (nil is the process's own). Errors name the path.
func openInput(path string, stdin io.Reader) (*input, error) {
	in := &input{path: path, name: path}
	raw := stdin
	if path == "-" {
		in.name = "standard input"
		if raw == nil {
			raw = os.Stdin
		}
	} else {
		file, err := os.Open(path)
		if err != nil {
			return nil, err // names the path
		}
		in.stop = append(in.stop, func() { file.Close() })
		info, err := file.Stat()
		if err == nil && info.IsDir() {
			err = fmt.Errorf("is a folder, want a file: %w", data.ErrFormat)
		}
		if err != nil {
			in.close()
			return nil, in.named(err)
		}
		raw = file
		if info.Mode().IsRegular() {
			in.at, in.size, in.regular, in.changed, in.length = file, info.Size(), true, info.ModTime(), info.Size()
		}
	}
	if err := in.unpack(raw); err != nil {
		in.close()
		return nil, in.named(err)
	}
	return in, nil
}

// named puts the path before an error.
func (in *input) named(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) && p.Path == in.path {
		err = p.Err
	}
	return fmt.Errorf("%s: %w", in.name, err)
}

func (in *input) close() {
	for i := len(in.stop) - 1; i >= 0; i-- {
		in.stop[i]()
	}
	in.stop = nil
}

// headSize is how much of a file is looked at to find out its format.
const headSize = 4096

// unpack finds out the compression.
func (in *input) unpack(raw io.Reader) error {
	b := bufio.NewReaderSize(raw, 1<<16)
	head, err := b.Peek(headSize)
	if err != nil && err != io.EOF {
		return err
	}
	in.in, in.head = b, head
	packer := ""
	switch {
	case len(head) == 0:
		return fmt.Errorf("is empty: %w", data.ErrFormat)
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		packer = "gzip"
		z, err := gzip.NewReader(b)
		if err != nil {
			return unpacked{packer: packer}.explain(err)
		}
		in.in = z
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		packer = "zstd"
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<28))
		if err != nil {
			return unpacked{packer: packer}.explain(err)
		}
		if in.regular {
			in.stop = append(in.stop, z.Close)
		}
		in.in = z
	default:
		if in.at != nil { // from the start again: the peek has moved the file
			in.in = io.NewSectionReader(in.at, 0, in.size)
		}
		return nil
	}
	in.at, in.size = nil, 0
	ahead := newAhead(unpacked{in.in, packer})
	in.stop = append(in.stop, func() { ahead.close(in.regular) })
	b = bufio.NewReaderSize(ahead, 1<<16)
	head, err = b.Peek(headSize)
	if err != nil && err != io.EOF {
		return err
	}
	if len(head) == 0 {
		return fmt.Errorf("holds nothing but %s: %w", packer, data.ErrFormat)
	}
	in.in, in.head = b, head
	return nil
}

// seekable returns the content for formats that are read from the end; what cannot seek is read whole.
func (in *input) seekable() (io.ReaderAt, int64, error) {
	if in.at == nil {
		all, err := io.ReadAll(in.in)
		if err != nil {
			return nil, 0, err
		}
		in.at, in.size = bytes.NewReader(all), int64(len(all))
	}
	return in.at, in.size, nil
}

// unpacked says what a decompressor's errors mean. They must not look like the end of the data.
type unpacked struct {
	in     io.Reader
	packer string
}

func (u unpacked) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	if err != nil && err != io.EOF {
		err = u.explain(err)
	}
	return n, err
}

func (u unpacked) explain(err error) error {
	var disk *fs.PathError
	switch {
	case errors.As(err, &disk):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("the %s data end early: %w", u.packer, data.ErrFormat)
	}
	return fmt.Errorf("the %s data are damaged (%v): %w", u.packer, err, data.ErrFormat)
}

// ahead decompresses on a goroutine of its own, while what it gave is parsed.
type ahead struct {
	full, free chan []byte
	quit       chan struct{}
	once       sync.Once
	err        error // behind the last full buffer
	at, rest   []byte
}

func newAhead(in io.Reader) *ahead {
	const buffers, size = 3, 1 << 18
	a := &ahead{full: make(chan []byte, buffers), free: make(chan []byte, buffers), quit: make(chan struct{})}
	for range buffers {
		a.free <- make([]byte, size)
	}
	go a.fill(in)
	return a
}

func (a *ahead) fill(in io.Reader) {
	defer close(a.full)
	for {
		var b []byte
		select {
		case b = <-a.free:
		case <-a.quit:
			return
		}
		n, err := io.ReadFull(in, b[:cap(b)])
		if err == io.ErrUnexpectedEOF {
			err = io.EOF
		}
		if n > 0 {
			a.full <- b[:n] // never waits: there are as many places as buffers
		}
		if err != nil {
			a.err = err
			return
		}
	}
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(a.rest) == 0 {
		if a.at != nil {
			a.free <- a.at
			a.at = nil
		}
		b, ok := <-a.full
		if !ok {
			return 0, a.err
		}
		a.at, a.rest = b, b
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// close ends the goroutine, and waits for it when the input cannot keep it waiting: a pipe may have nothing to give for ever.
func (a *ahead) close(wait bool) {
	a.once.Do(func() {
		close(a.quit)
		for wait {
			if _, ok := <-a.full; !ok {
				return
			}
		}
	})
}
