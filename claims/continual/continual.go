// Package continual re-runs the claims behind the methods of family continual.
package continual

import "github.com/gimbal-ml/gimbal/claims/claim"

// Claims returns the family's claims.
func Claims() []claim.Claim {
	return []claim.Claim{acil(), agem(), aper(), batchstatistics(), codyra(), ewc(), fecam(), lame(), priorshift(), prototypes(), ranpac(), replay(), rwalk(), si(), slca(), stabilitygap(), streaminglda(), t3a(), vida(), zscl()}
}
