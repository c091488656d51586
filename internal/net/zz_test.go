package net
import ("testing";"math/rand/v2";"fmt")
func BenchmarkZZ(b *testing.B){
 for _,batch:=range []int{1,32}{ b.Run(fmt.Sprint(batch),func(b *testing.B){
	g := NewGraph(NewParams(1)); g.Training=false
	x := g.Input(batch,32,32,3)
	p,err := g.Infer(g.ResNet("net", x, 10, 3, 16, 32, 64)); if err!=nil{b.Fatal(err)}
	r:=rand.New(rand.NewPCG(1,1)); for i:=range x.Value(){x.Value()[i]=float32(r.NormFloat64())}
	for b.Loop(){p.Forward()}
 })}
}
func BenchmarkPooled(b *testing.B){
	params := NewParams(1)
	g := NewGraph(params)
	labels := g.Ints(128)
	p,_ := g.Train(g.CrossEntropy(g.ConvNet("net", g.Input(128, 28, 28, 1), 10, 32, 64), labels, Targets{}))
	r:=rand.New(rand.NewPCG(1,1))
	for _,x:=range g.Inputs(){ for i:=range x.Value(){x.Value()[i]=float32(r.NormFloat64())}}
	for i:=range labels.Values{labels.Values[i]=int32(i%10)}
	o := Optimiser{Rule: Adam, Rate: 1e-3}
	for b.Loop(){ p.Forward();params.ZeroGradients();p.Backward();o.Step(params,1)}
}
