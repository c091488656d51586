package detect

import "github.com/gimbal-ml/gimbal/claims/claim"

var pcaArms = []tablesArm{tablesPCA, tablesLOF, tablesKNN}

func pca() claim.Claim {
	return claim.Claim{
		ID:        "detect/pca",
		Paper:     "shyu2003novel, section 5",
		Statement: "Squared coordinates over variances, along the leading and the trailing principal components of normal rows, find intrusions better than the local outlier factor and better than distances to nearest neighbours.",
		ScaleDown: "31 tables of many subjects instead of connections of KDD Cup 1999; " + tablesUnits + ". Only normal rows are learned, as in the paper. One score instead of two thresholds; the leading components carry half of the variance, as in the paper.",
		Arms:      tablesNames(pcaArms),
		Data:      tablesData,
		Metric:    tablesMetric,
		Percent:   true,
		Seeds:     8,
		Needs:     tablesNeeds,
		Run:       tablesRun(pcaArms, true),
	}
}
