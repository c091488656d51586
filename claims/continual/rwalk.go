package continual

import "github.com/gimbal-ml/gimbal/claims/claim"

func rwalk() claim.Claim {
	return apiClaim("continual/rwalk", "chaudhry2018riemannian", "A network whose weights are held by Fisher information and by their score on the way completes more calls of all domains at the end than one that is tuned on one domain after the other.", "replay", "joint")
}
