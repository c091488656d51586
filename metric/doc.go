// Package metric measures: pure functions from scores, labels and probabilities to an [Estimate], a value with its interval.
//
// Which one?
//
//	question                                                 function                                        interval
//	do unknown rows score above known ones?                  [AUROC]                                         DeLong on the logit
//	is scorer A better than scorer B on the same rows?       [DeLongPaired]                                  DeLong, with a p-value
//	could a plane tell unknown rows from known ones?         [LinearSeparability]                            DeLong on the logit
//	how pure is the top of the ranking?                      [AUPROut], [AUPRIn], [AveragePrecision]         bootstrap on the logit
//	what does catching 95 % cost?                            [FPR95OutPositive], [FPR95InPositive]           exact: Binomial × Beta
//	how often is the class right?                            [Accuracy], [Proportion]                        Wilson
//	… with every class weighing alike?                       [BalancedAccuracy], [MacroF1]                   bootstrap
//	which classes are mistaken for which?                    [ConfusionMatrix]                               –
//	are the probabilities good?                              [NLL], [LogitNLL], [Brier]                      bootstrap
//	does "90 % sure" come true 90 % of the time?             [ECE], [BinnedECE], [ClasswiseECE],
//	                                                         [MaximumCalibrationError]                       bootstrap, pivotal
//	what does learning task after task keep?                 [AverageIncrementalAccuracy], [LastAccuracy],
//	                                                         [BackwardTransfer], [ForwardTransfer],
//	                                                         [ForgettingFromMax], [ForgettingFromFirst],
//	                                                         [Intransigence]                                 t over runs
//	do two layers hold the same of the same rows?            [LinearCKA]                                     delta method on the logit
//	several seeds, one number                                [Mean], [PairedMean]                            t over seeds
//	anything else                                            [Bootstrap], [Interval.Bootstrap]               percentile bootstrap
//
// Conventions:
//   - Scores: higher = more unknown. The positive class is out of distribution, the negative class in distribution;
//     where a name of the field turns that round, the function's name says so (AUPRIn, FPR95InPositive).
//   - Metrics of ranks read scores only through their order: ±Inf is a legal score there, NaN never is, −0 equals +0.
//   - Results are fractions (0.9341), not percent; [Estimate.Percent] prints percent. Logarithms are natural.
//   - Matrices are row-major: N×K probabilities are a slice of N·K values with classes = K.
//   - Labels are class numbers 0..K−1. [Accuracy], [BalancedAccuracy], [MacroF1] and [ConfusionMatrix] take any whole numbers,
//     so that −1 (unknown) may be a class of its own.
//   - Rows in error messages are counted from 1.
//
// Intervals: a function takes at most one [Interval]; without it the zero Interval stands: 95 %, 1000 resamples, seed 0. Equal inputs give
// equal bits on any number of threads. An interval always contains its value, and a handful of rows never gives one of zero width: where the
// rows do not vary (all right, all separated, all tied) the bound is that of rows not seen, explained at [Interval]. [Mean] and [Bootstrap]
// know no range of their values and are the exception.
//
// Errors wrap data.ErrShape (lengths that do not fit, empty classes), data.ErrFinite (NaN, or Inf where it has no meaning),
// data.ErrLabels (a label outside the classes) or [ErrRange].
package metric
