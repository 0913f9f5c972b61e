import OpenAI from 'openai'
import { INSTRUCTIONS } from '../../mcp-server/surface.ts'
import { tools } from '../../mcp-server/tools/index.ts'
import { judge } from './judge.ts'
import { questions } from './questions.ts'

/** Asks a model every question with the tools as a client would show them, and counts right first calls. */
const { TOCSIN_EVAL_BASE_URL: baseURL, TOCSIN_EVAL_MODEL: model, TOCSIN_EVAL_API_KEY: apiKey } = process.env
if (!baseURL || !model || !apiKey) {
  process.stdout.write(
    'not measured: set TOCSIN_EVAL_BASE_URL, TOCSIN_EVAL_MODEL and TOCSIN_EVAL_API_KEY to ask a model.\n',
  )
} else {
  await measure(new OpenAI({ baseURL, apiKey, maxRetries: 3, timeout: 60_000 }), model)
}

async function measure(client: OpenAI, model: string): Promise<void> {
  let right = 0
  for (const question of questions) {
    const completion = await client.chat.completions.create({
      model,
      messages: [
        {
          role: 'system',
          content: `${INSTRUCTIONS}\nIf no tool fits what the user asks, say so and call none.`,
        },
        { role: 'user', content: question.ask },
      ],
      tools: tools.map(({ listing: { name, description, inputSchema } }) => ({
        type: 'function' as const,
        function: { name, description, parameters: inputSchema },
      })),
    })
    const called = completion.choices[0]?.message.tool_calls?.find(
      (call) => call.type === 'function',
    )?.function
    const problem = judge(question, called && { tool: called.name, args: called.arguments })
    if (problem === undefined) right++
    else process.stdout.write(`wrong: ${question.ask}\n       ${problem}\n`)
  }
  const share = Math.round((100 * right) / questions.length)
  process.stdout.write(`${right} of ${questions.length} first calls right (${share} %), model ${model}\n`)
}
