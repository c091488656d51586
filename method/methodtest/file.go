package methodtest

import (
	"bytes"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/safetensors"
)

// fileBytes writes a checkpoint as the file that a user would have.
func fileBytes(c *data.Checkpoint) ([]byte, error) {
	var b bytes.Buffer
	err := safetensors.Write(&b, c)
	return b.Bytes(), err
}

func fromBytes(b []byte) (*data.Checkpoint, error) {
	return safetensors.Read(bytes.NewReader(b), int64(len(b)))
}
