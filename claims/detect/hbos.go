package detect

import "github.com/gimbal-ml/gimbal/claims/claim"

var hbosArms = []tablesArm{tablesHBOS, tablesLOF, tablesKNN}

func hbos() claim.Claim {
	return claim.Claim{
		ID:        "detect/hbos",
		Paper:     "goldstein2012hbos, section 4",
		Statement: "Where outliers are global, histograms of single columns find them at least as well as detectors by nearest neighbours, such as the local outlier factor, in a fraction of the time; where outliers are local, they do not.",
		ScaleDown: "31 tables of both kinds instead of three; " + tablesUnits + ". 60 % of the rows are learned, odd ones among them unmarked. Time is compared in docs/guide/detectors.md.",
		Arms:      tablesNames(hbosArms),
		Data:      tablesData,
		Metric:    tablesMetric,
		Percent:   true,
		Seeds:     8,
		Needs:     tablesNeeds,
		Run:       tablesRun(hbosArms, false),
	}
}
