// Package probe runs the comparisons behind the heads on frozen features again.
package probe

import "github.com/gimbal-ml/gimbal/claims/claim"

// Claims returns the family's claims.
func Claims() []claim.Claim {
	return []claim.Claim{cape(), diffProbe(), groupRobust(), logitAdjustment(), momentProbing(), naiveBayes(), nmtune(), presto(), priorShift(), rcal(), ridge(), rss(), tauNormalization(), unsupGain()}
}
