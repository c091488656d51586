package detect

import "github.com/gimbal-ml/gimbal/claims/claim"

var isolationForestArms = []tablesArm{tablesForest, tablesLOF, tablesKNN}

func isolationForest() claim.Claim {
	return claim.Claim{
		ID:        "detect/isolationforest",
		Paper:     "liu2008isolation, table 3",
		Statement: "Few random cuts of small samples set outliers apart better than the local outlier factor does, and better than distances to neighbours on most tables.",
		ScaleDown: "31 tables of at most 5,000 rows instead of 12 of up to 567,000; " + tablesUnits + ". 60 % of the rows are learned, odd ones among them unmarked, and the others scored, where the paper scores the rows that it learns.",
		Arms:      tablesNames(isolationForestArms),
		Data:      tablesData,
		Metric:    tablesMetric,
		Percent:   true,
		Seeds:     8,
		Needs:     tablesNeeds,
		Run:       tablesRun(isolationForestArms, false),
	}
}
