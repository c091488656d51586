package detect

import "github.com/gimbal-ml/gimbal/claims/claim"

var ecodArms = []tablesArm{tablesECOD, tablesForest, tablesCOPOD, tablesHBOS, tablesPCA, tablesKNN, tablesLOF}

func ecod() claim.Claim {
	return claim.Claim{
		ID:    "detect/ecod",
		Paper: "li2022ecod, tables 3 and 4",
		Statement: "The tails of the columns' empirical distributions alone, with nothing to tune, find outliers better on average over many tables than detectors that need tuning, " +
			"the isolation forest, the strongest of them, included.",
		ScaleDown: "one random split of 31 tables a seed, some of the paper's among them, instead of 10 of 30; " + tablesUnits + ". 60 % of the rows are learned, odd ones among them unmarked. Settings are our defaults, but PCA's share is its paper's.",
		Arms:      tablesNames(ecodArms),
		Data:      tablesData,
		Metric:    tablesMetric,
		Percent:   true,
		Seeds:     8,
		Needs:     tablesNeeds,
		Run:       tablesRun(ecodArms, false),
	}
}
