// Package weights re-runs the claims behind the methods of family weights.
package weights

import "github.com/gimbal-ml/gimbal/claims/claim"

// Claims returns the family's claims.
func Claims() []claim.Claim {
	return []claim.Claim{bang(), cnnFilterDB(), d2nwg(), essSparsity(), kind(), owLore(), soup(), sparseLaw()}
}
