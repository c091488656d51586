package oip

import (
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/gimbal-ml/gimbal/data"
)

// ErrEncoding says that a body is compressed in a way that cannot be undone here.
var ErrEncoding = errors.New("unknown Content-Encoding")

// Unpack undoes the compression that a Content-Encoding names: gzip, deflate (RFC 9110: in the zlib format) or none. How much comes out is the
// caller's to bound. Errors, also when reading: ErrEncoding; data.ErrFormat for a body that is not what its encoding says.
func Unpack(encoding string, body io.Reader) (io.Reader, error) {
	var from io.Reader
	var err error
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		from, err = gzip.NewReader(body)
	case "deflate":
		from, err = zlib.NewReader(body)
	default:
		return nil, fmt.Errorf("%w %.40q: want gzip, deflate or none", ErrEncoding, encoding)
	}
	if err != nil {
		return nil, fmt.Errorf("body: %w as %s: %w", data.ErrFormat, encoding, err)
	}
	return &unpacked{from, encoding}, nil
}

type unpacked struct {
	from     io.Reader
	encoding string
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.from.Read(p)
	if err != nil && err != io.EOF {
		err = fmt.Errorf("body: %w as %s: %w", data.ErrFormat, u.encoding, err)
	}
	return n, err
}
