export { installChecks as default } from './install.ts'
