# The least that a model of MLServer can do: it takes a row of any width and answers one number.
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class Echo(MLModel):
    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        output = ResponseOutput(name="ood_score", shape=[1], datatype="FP64", data=[1.0])
        return InferenceResponse(model_name=self.name, id=payload.id, outputs=[output])
