package continual

import "github.com/gimbal-ml/gimbal/claims/claim"

func ewc() claim.Claim {
	return apiClaim("continual/ewc", "kirkpatrick2017overcoming", "A network whose weights are held by their Fisher information completes more calls of all domains at the end than one that is tuned on one domain after the other.", "si", "rwalk", "replay", "agem", "joint")
}
