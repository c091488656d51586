package detect

import "testing"
import "github.com/gimbal-ml/gimbal/claims/claim"

func TestX(t *testing.T) {
	for s := range 2 {
		knnRun(t.Context(), claim.Env{Data: "/work/shared/data"}, uint64(s))
	}
}
