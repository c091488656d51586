package continual

import "github.com/gimbal-ml/gimbal/claims/claim"

func si() claim.Claim {
	return apiClaim("continual/si", "zenke2017continual", "A network whose weights are held by what they did for the loss on the way completes more calls of all domains at the end than one that is tuned on one domain after the other.", "replay", "joint")
}
