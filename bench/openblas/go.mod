module github.com/gimbal-ml/gimbal/bench/openblas

go 1.26.0
