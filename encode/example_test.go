package encode_test

import (
	"fmt"

	"github.com/gimbal-ml/gimbal/encode"
)

// A known network says which tensors it wants, how images are prepared, and which layers can be taken out.
func ExampleNetwork() {
	d, _ := encode.Network("cifar-resnet20")
	fmt.Println(d.Input.Height, d.Input.Width, d.Input.Channels, d.Input.Mean)
	fmt.Println(d.Weights[0].Name, d.Weights[0].Shape, len(d.Weights))
	fmt.Println(d.Layers["features"], d.Layers["logits"])
	// Output:
	// 32 32 RGB [0.485 0.456 0.406]
	// conv1.weight [16 3 3 3] 97
	// pool linear
}

// Halving a row of pixels by area takes the mean of each two; Pillow's triangle covers four of them, by ⅛, ⅜, ⅜, ⅛; nearest takes one.
func ExamplePicture_Resized() {
	p := &encode.Picture{H: 1, W: 8, C: 1, Pixels: []byte{0, 0, 0, 64, 72, 80, 80, 80}}
	for _, way := range []string{"area", "pillow-bilinear", "nearest"} {
		half, err := p.Resized(1, 4, way)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(way, half)
	}
	// Output:
	// area [0 32 76 80]
	// pillow-bilinear [0 33 75 80]
	// nearest [0 64 80 80]
}
