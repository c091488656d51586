package idx

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gimbal-ml/gimbal/data"
)

// Images reads a file of byte images one by one.
type Images struct {
	N, H, W int
	in      io.Reader
	done    int
}

// NewImages reads the header of N×H×W bytes. Errors: ErrFormat when the file is no IDX file or holds anything else.
func NewImages(in io.Reader) (*Images, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(in, head); err != nil {
		return nil, early(err)
	}
	if !Is(head) || head[2] != 0x08 || head[3] != 3 {
		return nil, fmt.Errorf("is no IDX file of N×H×W bytes (it begins with % x): %w", head, data.ErrFormat)
	}
	sizes := make([]byte, 12)
	if _, err := io.ReadFull(in, sizes); err != nil {
		return nil, early(err)
	}
	im := &Images{in: in}
	for i, to := range []*int{&im.N, &im.H, &im.W} {
		*to = int(binary.BigEndian.Uint32(sizes[4*i:]))
	}
	const most = 1 << 16
	if im.H < 1 || im.W < 1 || im.H > most || im.W > most {
		return nil, fmt.Errorf("%w: images of %d×%d pixels", data.ErrShape, im.H, im.W)
	}
	return im, nil
}

// Next returns the pixels of the next image, row by row; io.EOF after the last one. Errors: ErrFormat when the file ends inside it.
func (im *Images) Next() ([]byte, error) {
	if im.done == im.N {
		return nil, io.EOF
	}
	pixels := make([]byte, im.H*im.W)
	if _, err := io.ReadFull(im.in, pixels); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("ends inside image %d of %d: %w", im.done+1, im.N, data.ErrFormat)
		}
		return nil, err
	}
	im.done++
	return pixels, nil
}
