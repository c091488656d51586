package detect

import "github.com/gimbal-ml/gimbal/claims/claim"

var copodArms = []tablesArm{tablesCOPOD, tablesForest, tablesHBOS, tablesPCA, tablesKNN, tablesLOF}

func copod() claim.Claim {
	return claim.Claim{
		ID:    "detect/copod",
		Paper: "li2020copod, tables II and III",
		Statement: "Tail probabilities under the columns' empirical copula, with nothing to tune, find outliers better on average over many tables than nine other detectors; " +
			"the isolation forest comes next.",
		ScaleDown: "one random split of 31 tables a seed, some of the paper's among them, instead of 10 of 30; " + tablesUnits + ". 60 % of the rows are learned, odd ones among them unmarked. Settings are our defaults, but PCA's share is its paper's.",
		Arms:      tablesNames(copodArms),
		Data:      tablesData,
		Metric:    tablesMetric,
		Percent:   true,
		Seeds:     8,
		Needs:     tablesNeeds,
		Run:       tablesRun(copodArms, false),
	}
}
