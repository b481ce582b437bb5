"""Who a model's name belongs to, known without litellm, whose own list takes seconds to import."""

from __future__ import annotations

SPEAKS_OPENAI = ("openai", "hosted_vllm", "vllm")
"""What may stand in front of a name, as litellm writes it, where a server speaks the OpenAI protocol; it is not sent."""

PROVIDERS = frozenset(
    """
    a2a a2a_agent ai21 ai21_chat aiml aiohttp_openai amazon_nova anthropic anthropic_text apertis assemblyai auto_router aws_polly
    aws_textract azure azure_ai azure_speech azure_text baseten bedrock bedrock_mantle black_forest_labs bytez cerebras
    charity_engine chatgpt chutes clarifai cloudflare codestral cognition cohere cohere_chat cometapi compactifai cortecs cursor
    custom custom_openai darkbloom dashscope databricks datarobot deepgram deepinfra deepseek docker_model_runner dotprompt edenai
    elevenlabs empower fal_ai featherless_ai fireworks_ai friendliai galadriel gdc gemini gigachat github github_copilot
    gradient_ai groq helicone heroku huggingface humanloop hyperbolic inception infinity jina_ai lambda_ai langflow langfuse
    langgraph lemonade libertai litellm_agent litellm_proxy llamafile lm_studio manus maritalk meta meta_llama milvus minimax
    mistral modelscope mongodb moonshot morph nadir nano-gpt nebius neosantara nlp_cloud novita nscale nvidia_nim nvidia_riva oci
    ollama ollama_chat oobabooga openai_like openrouter ovhcloud parasail perplexity petals pg_vector pinstripes poe predibase
    prism publicai qwen_ai_platform qwencloud ragflow recraft reducto reka replicate runwayml s3_vectors sagemaker sagemaker_chat
    sagemaker_nova sail sambanova sap scaleway scx-ai snowflake soniox stability strands_decider synthetic tencent tensormesh
    text-completion-codestral text-completion-inception text-completion-openai together_ai topaz transcribe triton typesafe v0
    valkey vercel_ai_gateway vertex_ai vertex_ai_beta volcengine voyage wandb watsonx watsonx_text xai xiaomi_mimo xinference zai
    """.split()
)
"""litellm's other providers. In front of a name they say that litellm calls it, also where an address is given."""


def calls_for_litellm(model: str) -> bool:
    """True if a model's name begins with a provider whose protocol litellm knows and we do not."""
    provider, slash, _ = model.partition("/")
    return bool(slash) and provider in PROVIDERS


def name_at_server(model: str) -> str:
    """Return the name by which a server that speaks the OpenAI protocol knows a model, whatever slashes are in it."""
    provider, _, name = model.partition("/")
    return name if name and provider in SPEAKS_OPENAI else model
