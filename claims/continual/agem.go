package continual

import "github.com/gimbal-ml/gimbal/claims/claim"

func agem() claim.Claim {
	return apiClaim("continual/agem", "chaudhry2019efficient", "A network that takes no step against 200 kept rows completes more calls of all domains at the end than one that is tuned on one domain after the other.", "replay", "joint")
}
