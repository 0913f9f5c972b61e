/** What the secrets in `rows.json` are sealed with, as TOCSIN_SECRET_KEY takes it. */
export const SECRET_KEY = Buffer.alloc(32, 7).toString('base64')
